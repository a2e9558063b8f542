"""The platform in one foreground command: Redis, web, workers and the supervisor as children of one parent.

``errors`` what stops a start; ``redis_server`` the embedded Redis; ``checks`` what is looked at before anything is
changed; ``prepare`` database, static files, first administrator; ``parts`` what each child does; ``processes`` how
children are started, restarted and ended; ``banner`` what is printed.
"""
