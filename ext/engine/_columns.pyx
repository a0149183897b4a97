"""The values of one path as an array, for readers that compute over all objects."""

from engine._object cimport Object, value_in
from engine._path cimport Path
from engine._selectors cimport text_of_field

# Below these members stand quantities, whatever JSON type they are written in.
cdef tuple QUANTITY_PARENTS = ("requests", "limits", "capacity", "allocatable", "hard", "used", "overhead")
cdef dict SUFFIXES = {
    "n": "1e-9", "u": "1e-6", "m": "1e-3", "": 1, "k": "1e3", "M": "1e6", "G": "1e9", "T": "1e12", "P": "1e15",
    "E": "1e18", "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60,
}


cdef object milli_units(object value):
    """A Kubernetes quantity ("500m", "2", "1Gi", 1.5) times 1000, rounded up; 0 when there is none."""
    from decimal import ROUND_CEILING, Decimal

    if value is None:
        return 0
    text = str(value)
    number = text.rstrip("numkKMGTPEi")
    suffix = text[len(number):]
    if suffix not in SUFFIXES:
        raise ValueError(f"{text!r} is no quantity")
    return int((Decimal(number) * Decimal(SUFFIXES[suffix]) * 1000).to_integral_value(ROUND_CEILING))


cdef object column_of(list objects, Path path):
    import numpy

    cdef list values = [value_in(<Object>obj, path) for obj in objects]
    if any([step in QUANTITY_PARENTS for step in path.steps]):
        return frozen(numpy.array([milli_units(value) for value in values], dtype=numpy.int64))
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, bool}:
        return frozen(numpy.array([value or 0 for value in values], dtype=numpy.int64))
    if kinds <= {int, bool, float}:
        return frozen(numpy.array([numpy.nan if value is None else value for value in values], dtype=numpy.float64))
    array = numpy.empty(len(values), dtype=object)
    array[:] = [None if value is None else text_of_field(value) for value in values]
    return frozen(array)


cdef object frozen(object array):
    array.flags.writeable = False
    return array
