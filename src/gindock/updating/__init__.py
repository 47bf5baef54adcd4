"""An update: rendered twice, merged, and written all or nothing."""
