"""The values of one path as an array, for readers that compute over all objects."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from engine._columns cimport NO_VALUE, SINGLE, Column, number_of
from engine._path cimport Path
from engine._selectors cimport text_of_field
from libc.stdint cimport uint32_t
from libc.string cimport memset

import decimal
import re
from decimal import Decimal

# Below these members stand quantities, whatever JSON type they are written in.
cdef tuple QUANTITY_PARENTS = ("requests", "limits", "capacity", "allocatable", "hard", "used", "overhead")
cdef dict SUFFIXES = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1), "k": Decimal("1e3"),
    "M": Decimal("1e6"), "G": Decimal("1e9"), "T": Decimal("1e12"), "P": Decimal("1e15"), "E": Decimal("1e18"),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40), "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}
cdef object quantity = re.compile(r"([+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?)"
                                  r"(|[numkMGTPE]|[KMGTPE]i)").fullmatch
cdef object MAX_MILLI = 2**63 - 1


cdef object milli_units(object value):
    """A Kubernetes quantity ("500m", "2", "1Gi", 1.5) times 1000, rounded up, no more than 64 bits hold; 0 for nothing,
    None for one that is malformed.
    https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/"""
    if value is None:
        return 0
    if type(value) is bool or not isinstance(value, (str, int, float)):
        return None
    found = quantity(str(value))
    if found is None:
        return None
    number = Decimal(found[1]) * SUFFIXES[found[2]] * 1000
    if abs(number) > MAX_MILLI:
        return MAX_MILLI if number > 0 else -MAX_MILLI
    return int(number.to_integral_value(decimal.ROUND_CEILING))


cdef tuple typed(list values, Path path):
    """The array of these values, and how many were malformed."""
    import numpy

    cdef list milli
    if path is not None and any([step in QUANTITY_PARENTS for step in path.steps]):
        milli = [milli_units(value) for value in values]
        return numpy.array([number or 0 for number in milli], dtype=numpy.int64), milli.count(None)
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, bool} and all([value is None or -MAX_MILLI <= value <= MAX_MILLI for value in values]):
        return numpy.array([value or 0 for value in values], dtype=numpy.int64), 0
    if kinds <= {int, bool, float}:
        return numpy.array([numpy.nan if value is None else value for value in values], dtype=numpy.float64), 0
    array = numpy.empty(len(values), dtype=object)
    array[:] = [None if value is None else text_of_field(value) for value in values]
    return array, 0


cdef object frozen(object array):
    array.flags.writeable = False
    return array


cdef tuple array_of(Column column, const uint32_t *rows, Py_ssize_t count):
    import numpy

    cdef list distinct = []
    cdef bytes order = PyBytes_FromStringAndSize(NULL, count * sizeof(uint32_t))
    cdef uint32_t *out = <uint32_t *>PyBytes_AS_STRING(order)
    # By number of a shared value: its place in `distinct`.
    cdef size_t size = (column.values.end + 1) * sizeof(uint32_t)
    cdef uint32_t *places = <uint32_t *>PyMem_Malloc(size)
    cdef uint32_t number
    cdef Py_ssize_t i
    if places == NULL:
        raise MemoryError
    memset(places, 0xFF, size)
    try:
        for i in range(count):
            number = number_of(column, rows[i])
            if number & SINGLE:
                out[i] = <uint32_t>len(distinct)
                distinct.append(column.decoded(number))
                continue
            if places[number] == NO_VALUE:
                places[number] = <uint32_t>len(distinct)
                distinct.append(column.decoded(number))
            out[i] = places[number]
    finally:
        PyMem_Free(places)
    array, malformed = typed(distinct, column.path)
    return frozen(array.take(numpy.frombuffer(order, dtype=numpy.uint32))), malformed


def column_array(Column column not None, rows):
    cdef bytes packed = memoryview(rows).tobytes()
    return array_of(column, <const uint32_t *>PyBytes_AS_STRING(packed), len(packed) // sizeof(uint32_t))
