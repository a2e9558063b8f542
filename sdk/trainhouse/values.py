"""What may be logged: names and values as scripts hold them, turned into what JSON knows."""

import operator
import unicodedata

NAME_CHARACTERS_MOST = 250
TAG_CHARACTERS_MOST = 100
_STEP_MOST = 2**53  # beyond it a float64 no longer tells neighbours apart


def name_checked(name, what="name", most=NAME_CHARACTERS_MOST):
    """``name`` itself. Raises TypeError or ValueError, in a sentence, when it cannot name a metric, table or tag."""
    if not isinstance(name, str):
        raise TypeError("The {} must be a string, not {}: {!r}.".format(what, type(name).__name__, name))
    if not name.strip():
        raise ValueError("The {} is empty.".format(what))
    if len(name) > most:
        raise ValueError(
            "The {} has {} characters; at most {} are allowed: {!r}…".format(what, len(name), most, name[:40])
        )
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise ValueError("The {} {!r} holds a control character; remove it.".format(what, name))
    return name


def number_checked(name, value):
    """``value`` as a float: any number, or an array or tensor with one element. NaN and infinity are numbers.

    Raises TypeError when it is none, ValueError when it is too large for a float64.
    """
    plain = _plain(value)
    if isinstance(plain, (str, bytes)) or plain is None:
        raise TypeError(_not_a_number(name, value))
    try:
        return float(plain)
    except OverflowError as error:
        raise ValueError("The value of {!r} is too large for a 64-bit floating-point number.".format(name)) from error
    except (TypeError, ValueError) as error:
        raise TypeError(_not_a_number(name, value)) from error


def step_checked(step):
    """``step`` as an int, or None. Raises TypeError or ValueError."""
    if step is None:
        return None
    plain = _plain(step)
    if isinstance(plain, float) and plain.is_integer():
        plain = int(plain)
    try:
        whole = operator.index(plain)
    except TypeError as error:
        raise TypeError("step must be a whole number or None, not {!r}.".format(step)) from error
    if abs(whole) > _STEP_MOST:
        raise ValueError("step {} is out of range; at most 2**53 is kept exactly.".format(whole))
    return whole


def cell_checked(name, value):
    """``value`` as a cell of a table: a number, a string, a truth value or None. Raises TypeError."""
    plain = _plain(value)
    if plain is None or isinstance(plain, (bool, int, float)):
        return plain
    if isinstance(plain, str):
        return plain.encode("utf-8", "replace").decode("utf-8")
    return number_checked(name, plain)


def _plain(value):
    """A Python value for an array scalar, a one-element array or a tensor; anything else unchanged."""
    if value is None or isinstance(value, (str, bytes, bool, int, float)):
        return value
    for method in ("numpy", "item"):  # an eager tensor has numpy(), an array and its scalars have item()
        call = getattr(value, method, None)
        if callable(call):
            try:
                value = call()
            except Exception:
                return value
    return value


def _not_a_number(name, value):
    shape = getattr(value, "shape", None)
    detail = " of shape {}".format(tuple(shape)) if shape else ""
    return "The value of {!r} must be one number, not {}{}. For several use log_list or log_table.".format(
        name, type(value).__name__, detail
    )
