"""Records in the hand of Python."""

cimport cython
from engine._object cimport Object, as_object, bind, record_of, view_of
from engine._record cimport CURRENT, NO_ROW
from engine._store cimport Store


@cython.final
cdef class Held:
    def __init__(self, item not None, Held like=None):
        cdef Object obj = as_object(item)
        if self.record != NULL:
            raise TypeError("a record cannot be changed")
        self.store = Store() if like is None else like.store
        self.record = record_of(self.store, obj, NULL if like is None else like.record)

    def __dealloc__(self):
        if self.record != NULL:
            self.store.drop(self.record)

    def view(self):
        return view_of(self.store, self.record)

    def bind(self, Object obj not None):
        bind(obj, self.store, self.record)

    def put(self, unsigned int row, dict columns):
        self.record.row = row
        self.record.marks |= CURRENT
        self.store.columns = columns

    def remove(self):
        self.record.row = NO_ROW
        self.record.marks &= ~CURRENT

    @property
    def holders(self):
        return self.record.refs
