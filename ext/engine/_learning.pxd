from engine._matching cimport Walk
from engine._shape cimport Shape
from engine._slab cimport Slab
from engine._template cimport Known, Template


cdef Template *template_of(Slab slab, Shape *shape, const Walk *walk, const Walk *sibling, Template *owner) noexcept
cdef bint learn(Shape *shape, const Walk *walk, const Known *known) noexcept nogil
