"""From JSON bytes to packed sections.

An object is first walked along the templates of a hint, its older version or a sibling: if all of it fits, it is valid,
and what is to be known of it is known, without a scan. What fits nothing known is scanned, cut into sections and looked
up by shape; a shape that comes the second time is kept.
"""

from engine._catalog cimport Catalog
from engine._draft cimport draft
from engine._following cimport follow
from engine._founding cimport scan_object
from engine._json cimport Slice
from engine._keys cimport Keys
from engine._record cimport Record


cdef Py_ssize_t pack_object(const char *data, Py_ssize_t size, Record *hint, bint is_older, Catalog catalog, Keys keys,
                            list paths, Slice *values, long long record_bytes) except -1:
    """Packs the object in `data` into `draft`; returns how many bytes its sections take. `hint` may be NULL; if it
    `is_older`, it is likely to be an older version. ValueError for what is no JSON object with a name. `let_go` must
    follow, whatever happens."""
    draft.data = data
    draft.size = size
    draft.values = values
    draft.founded = False
    draft.followed = hint != NULL and follow(hint, is_older, catalog, keys, len(paths))
    if not draft.followed:
        scan_object(hint, catalog, keys, paths, record_bytes)
    return draft.packed
