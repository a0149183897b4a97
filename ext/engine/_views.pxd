cimport cython


@cython.final
cdef class MapView:
    cdef dict data  # shared with every reader of the object: never changed


@cython.final
cdef class ListView:
    cdef list data  # shared likewise


cdef object plain(object value)
cdef bytes encoded(object document)  # views in it as what they are views of


cdef inline object view(object value):
    """What readers get for a parsed value."""
    cdef MapView mapping
    cdef ListView sequence
    if type(value) is dict:
        mapping = MapView.__new__(MapView)
        mapping.data = <dict>value
        return mapping
    if type(value) is list:
        sequence = ListView.__new__(ListView)
        sequence.data = <list>value
        return sequence
    return value
