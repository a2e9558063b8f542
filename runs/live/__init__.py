"""What a watching browser is told: the doorbell, and the frames read from the stores."""
