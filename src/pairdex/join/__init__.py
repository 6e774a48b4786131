"""Which pairs of rows are near each other, exactly? Why codes may rule pairs out: docs/certified.md."""
