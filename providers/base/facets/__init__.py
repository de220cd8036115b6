"""The facets: one small family of operations each, one file each, named after the contract's headings."""
