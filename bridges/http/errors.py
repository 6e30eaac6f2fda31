"""What the HTTP bridges raise to those who configure them."""


class UnusableOptions(Exception):
    """The REST API, or calls to others', cannot work as configured; the text names
    the option, its value and the remedy, for the operator."""
