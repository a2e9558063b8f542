"""Why a sign-in link does not open.

LinkRefused
├── LinkUnknown
├── LinkUsed
└── LinkExpired
"""


class LinkRefused(Exception):
    """The link signs nobody in. ``reason`` is a sentence for the page."""

    reason = ""


class LinkUnknown(LinkRefused):
    reason = "This link is not known here. It may have been replaced by a newer one, or not copied to its end."


class LinkUsed(LinkRefused):
    reason = "This link has been used. Each link signs in once."


class LinkExpired(LinkRefused):
    reason = "This link has expired. Links can be used for 24 hours."
