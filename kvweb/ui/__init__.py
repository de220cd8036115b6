"""Parts every page uses: template tags, tables, headers, fragments."""
