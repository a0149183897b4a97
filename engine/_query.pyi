"""How a list is answered: from columns, from key order, or by looking. Only compiled modules use it."""
