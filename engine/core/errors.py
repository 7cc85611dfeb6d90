"""Every error that the engine raises on purpose.

ImpastoError
 ├── InputError        a picture, mask or file that cannot be used
 ├── SettingsError     a value out of range, an unknown name
 ├── WeightsError      weights that are missing, damaged or of the wrong kind
 ├── ResourceError     not enough memory or disk
 └── Cancelled         the caller asked to stop

The message is one sentence for the user: what is wrong, the limit, the value, and what to do.
"""


class ImpastoError(Exception):
    """Base of all errors below."""


class InputError(ImpastoError):
    """A picture, mask or file that cannot be used."""


class SettingsError(ImpastoError):
    """A value out of range or an unknown name."""


class WeightsError(ImpastoError):
    """Weights that are missing, damaged or of the wrong kind."""


class ResourceError(ImpastoError):
    """Not enough memory or disk for what was asked."""


class Cancelled(ImpastoError):  # noqa: N818  (an outcome, not a fault)
    """The caller asked to stop."""
