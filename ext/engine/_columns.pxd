from engine._path cimport Path


cdef object column_of(list objects, Path path)
