from engine._object cimport Path


cdef object column_of(list objects, Path path)
