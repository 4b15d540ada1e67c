"""What the image work says when it cannot do what was asked."""


class ImagingError(Exception):
    """The picture or the target cannot be used; the message is fit for an API answer."""
