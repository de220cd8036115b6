# Read one YAML (or JSON) document and print it flat, a line for each leaf:
#
#     path TAB kind TAB value
#
# A path joins mapping keys and list positions with "/" (users/0/name). A kind is str, bin (base64 under a
# !!binary tag), null, or map / list for an empty collection. In a value, backslash, tab, newline and return
# are written \\ \t \n \r, which printf %b turns back, so that every leaf is one line whatever it holds.
#
# The subset: block mappings and lists, plain and quoted scalars over any number of lines, | and > blocks,
# flow collections, anchors and aliases. Not there: several documents, merge keys, "? " keys, tags with a
# meaning other than !!binary. What cannot be read ends the program with a message and status 1.
#
# The reader is a cursor (row, col) over the lines. A dash that opens a list item is overwritten by a space,
# so what follows it is simply a node that starts further to the right.

BEGIN { TABCH = "\t"; failed = 0; leaves = 0 }
{ sub(/\r$/, ""); line[++lines] = $0 }
END {
    if (lines) sub(/^\357\273\277/, "", line[1])
    row = 1
    skip_blank()
    if (row <= lines && line[row] ~ /^%/) row++
    skip_blank()
    if (row <= lines && line[row] ~ /^---([ \t]|$)/) { sub(/^---/, "   ", line[row]); skip_blank() }
    if (row <= lines) node("", 0)
    skip_blank()
    if (!failed && row <= lines && line[row] !~ /^(---|\.\.\.)/) fail("this does not continue what stands above it")
    if (failed) exit 1
    for (i = 1; i <= leaves; i++) print leaf_path[i] TABCH leaf_kind[i] TABCH leaf_value[i]
}

function fail(why) {
    if (!failed) print "line " row ": " why > "/dev/stderr"
    failed = 1
    row = lines + 1
}

function emit(path, kind, value) {
    gsub(/\\/, "\\\\", value)
    gsub(/\t/, "\\t", value)
    gsub(/\n/, "\\n", value)
    gsub(/\r/, "\\r", value)
    leaf_path[++leaves] = path
    leaf_kind[leaves] = kind
    leaf_value[leaves] = value
}

function join(path, key) {
    gsub(/%/, "%25", key)
    gsub(/\//, "%2F", key)
    gsub(/[\t\n\r]/, "?", key)
    return path == "" ? key : path "/" key
}

# The column of the first character that is not a space, counted from 0; -1 in a blank or comment line.
function indent_of(text,    at) {
    at = match(text, /[^ ]/)
    if (!at || text ~ /^[ \t]*(#|$)/) return -1
    return at - 1
}

function skip_blank() {
    while (row <= lines && indent_of(line[row]) < 0) row++
}

function is_item(text) { return text ~ /^ *-([ \t]|$)/ }

# The length of "key:" at the start of text, or 0 if text is not a mapping entry.
function key_length(text,    rest) {
    if (text ~ /^"/) {
        if (!match(text, /^"([^"\\]|\\.)*"[ \t]*:/)) return 0
    } else if (text ~ /^'/) {
        if (!match(text, /^'([^']|'')*'[ \t]*:/)) return 0
    } else {
        if (text ~ /^[][{},#&*!|>%@`]/ || !match(text, /:([ \t]|$)/)) return 0
        rest = substr(text, 1, RSTART - 1)
        if (rest ~ /[ \t]#/) return 0
        return RSTART
    }
    rest = RLENGTH
    return substr(text, rest + 1) ~ /^([ \t]|$)/ ? rest : 0
}

function node(path, least,    at) {
    skip_blank()
    at = row <= lines ? indent_of(line[row]) : -1
    if (at < least || line[row] ~ /^(---|\.\.\.)([ \t]|$)/) { emit(path, "null", ""); return }
    if (is_item(line[row])) list(path, at)
    else if (key_length(substr(line[row], at + 1))) mapping(path, at)
    else { col = at + 1; value(path, least - 1) }
}

function list(path, at,    index_, text) {
    for (index_ = 0; !failed; index_++) {
        skip_blank()
        if (row > lines || indent_of(line[row]) != at || !is_item(line[row])) break
        text = line[row]
        line[row] = substr(text, 1, at) " " substr(text, at + 2)
        gsub(/\t/, " ", text)
        if (text ~ /^ *- *(#|$)/) row++
        # A value that begins on the dash's own line may carry an anchor or tag, hence value() and not node().
        else if (substr(text, at + 2) ~ /^ +[&*!]/) {
            col = at + 2
            value(join(path, index_), at)
            continue
        }
        node(join(path, index_), at + 1)
    }
}

function mapping(path, at,    text, long, key) {
    while (!failed) {
        skip_blank()
        if (row > lines || indent_of(line[row]) != at) break
        text = substr(line[row], at + 1)
        if (text ~ /^(---|\.\.\.)([ \t]|$)/) break
        if (text ~ /^\? /) { fail("keys written with a question mark are not supported"); break }
        long = key_length(text)
        if (!long) { fail("a key was expected here"); break }
        if (text ~ /^["']/) { col = at + 1; key = quoted() }
        else { key = substr(text, 1, long - 1); sub(/[ \t]+$/, "", key) }
        col = at + long + 1
        value(join(path, key), at)
    }
}

# The value at the cursor; parent is the column of the node that holds it.
function value(path, parent,    text, name, first, tag, n, offset) {
    tag = ""; name = ""
    for (;;) {
        text = substr(line[row], col)
        sub(/^[ \t]+/, "", text)
        col = length(line[row]) - length(text) + 1
        if (text ~ /^&/) { match(text, /^&[^ \t]*/); name = substr(text, 2, RLENGTH - 1); col += RLENGTH }
        else if (text ~ /^!/) { match(text, /^![^ \t]*/); tag = substr(text, 1, RLENGTH); col += RLENGTH }
        else break
    }
    first = leaves + 1
    if (text == "" || text ~ /^#/) {
        row++
        skip_blank()
        if (row <= lines && indent_of(line[row]) > parent) node(path, parent + 1)
        else if (row <= lines && indent_of(line[row]) == parent && is_item(line[row])) list(path, parent)
        else emit(path, tag == "!!str" ? "str" : "null", "")
    } else if (text ~ /^\*/) {
        match(text, /^\*[^] \t,}]*/)
        alias(path, substr(text, 2, RLENGTH - 1))
        row++
    } else if (text ~ /^[|>]/) {
        emit(path, tag == "!!binary" ? "bin" : "str", block(text, parent))
    } else if (text ~ /^["']/) {
        emit(path, "str", quoted())
        end_of_line()
    } else if (text ~ /^[[{]/) {
        flow(path)
        end_of_line()
    } else {
        scalar(path, plain(text, parent), tag)
    }
    if (name != "") { anchor_from[name] = first; anchor_to[name] = leaves; anchor_path[name] = path }
}

function alias(path, name,    n, last, rest) {
    if (!(name in anchor_from)) { fail("there is no anchor named " name); return }
    last = anchor_to[name]
    for (n = anchor_from[name]; n <= last; n++) {
        rest = substr(leaf_path[n], length(anchor_path[name]) + 1)
        leaf_path[++leaves] = path rest
        leaf_kind[leaves] = leaf_kind[n]
        leaf_value[leaves] = leaf_value[n]
    }
}

function scalar(path, text, tag) {
    if (tag == "!!binary") emit(path, "bin", text)
    else if (tag == "" && text ~ /^(~|null|Null|NULL|)$/) emit(path, "null", "")
    else emit(path, "str", text)
}

function end_of_line(    text) {
    if (failed) return
    text = substr(line[row], col)
    if (text !~ /^[ \t]*([ \t]#.*)?$/) fail("there is text after the end of a value")
    row++
}

# A plain scalar: the rest of this line and the deeper lines below it, line ends read as spaces.
function plain(text, parent,    result, gap, deeper) {
    result = trim_plain(text)
    deeper = (text ~ /[ \t]#/)
    row++
    gap = ""
    while (row <= lines && !deeper) {
        if (line[row] ~ /^[ \t]*$/) { gap = gap "\n"; row++; continue }
        if (indent_of(line[row]) <= parent || line[row] ~ /^(---|\.\.\.)([ \t]|$)/) break
        text = line[row]
        sub(/^[ \t]+/, "", text)
        if (key_length(text)) { fail("a key is indented more than the keys above it"); return "" }
        result = result (gap == "" ? " " : gap) trim_plain(text)
        gap = ""
        deeper = (text ~ /[ \t]#/)
        row++
    }
    return result
}

function trim_plain(text) {
    sub(/[ \t]+#.*$/, "", text)
    sub(/[ \t]+$/, "", text)
    return text
}

# A | or > block. The column comes from its header's digit or from its first line that is not empty.
function block(header, parent,    folded, chomp, inset, text, result, n, was_more, more, empties) {
    folded = (header ~ /^>/)
    chomp = match(header, /^[|>][0-9]*[-+]/) ? substr(header, RLENGTH, 1) : ""
    if (chomp == "" && match(header, /^[|>][-+]/)) chomp = substr(header, 2, 1)
    inset = -1
    if (match(header, /^[|>][-+]?[1-9]/)) inset = (parent < 0 ? 0 : parent) + substr(header, RLENGTH, 1)
    row++
    for (n = row; inset < 0 && n <= lines; n++) {
        if (line[n] ~ /^ *$/) continue
        match(line[n], /[^ ]/)
        inset = RSTART - 1
        if (inset <= parent) inset = parent + 1
    }
    if (inset < 0) inset = 0
    result = ""; empties = ""; was_more = 1
    for (; row <= lines; row++) {
        text = line[row]
        if (text ~ /^ *$/ && length(text) <= inset) { empties = empties "\n"; continue }
        match(text, /[^ ]/)
        if (RSTART && RSTART - 1 < inset) break
        if (!RSTART && length(text) < inset) break
        if (inset == 0 && text ~ /^(---|\.\.\.)([ \t]|$)/) break
        text = substr(text, inset + 1)
        more = (text ~ /^[ \t]/)
        if (!folded) result = result empties text "\n"
        else if (result == "") result = empties text
        else if (more || was_more) result = result "\n" empties text
        else result = result (empties == "" ? " " : empties) text
        was_more = more
        empties = ""
    }
    if (folded && result != "") result = result "\n"
    if (chomp == "-") sub(/\n$/, "", result)
    else if (chomp == "+") result = result empties
    return result
}

# A quoted scalar that starts at the cursor; leaves the cursor behind the closing quote.
function quoted(    mark, text, result, at, code, pending) {
    mark = substr(line[row], col, 1)
    col++
    result = ""
    while (row <= lines) {
        text = substr(line[row], col)
        at = mark == "'" ? index(text, "'") : match(text, /["\\]/)
        if (!at) {
            # The line ends inside the quotes: it reads as a space, empty lines after it as line breaks.
            sub(/[ \t]+$/, "", text)
            result = result text line_break()
            continue
        }
        result = result substr(text, 1, at - 1)
        col += at
        code = substr(text, at, 1)
        text = substr(text, at + 1)
        if (code == "'") {
            if (text !~ /^'/) return result
            result = result "'"
            col++
        } else if (code == "\"") {
            return result
        } else if (text == "") {
            # An escaped line end joins the lines without a space.
            pending = line_break()
            result = result (pending == " " ? "" : pending)
        } else {
            result = result escape(text)
        }
    }
    fail("a quoted text does not end")
    return ""
}

# Move to the next line that is not empty, behind its indentation; returns what the line end reads as.
function line_break(    breaks) {
    breaks = ""
    for (row++; row <= lines && line[row] ~ /^[ \t]*$/; row++) breaks = breaks "\n"
    if (row <= lines) { match(line[row], /[^ \t]/); col = RSTART }
    return breaks == "" ? " " : breaks
}

# What a backslash and the text behind it stand for; moves the cursor over it.
function escape(text,    code, at, digits) {
    code = substr(text, 1, 1)
    at = index("0abtnvfre", code)
    if (at) {
        col++
        # A NUL cannot be kept in a shell's variable and has no place in a configuration.
        if (code == "0") { fail("a zero byte is not supported"); return "" }
        return substr(" \a\b\t\n\v\f\r\033", at, 1)
    }
    if (code == "x" || code == "u" || code == "U") {
        digits = code == "x" ? 2 : code == "u" ? 4 : 8
        col += 1 + digits
        code = number(substr(text, 2, digits))
        # A character beyond 16 bits may be written as two halves (JSON does).
        if (code >= 55296 && code < 56320 && substr(line[row], col, 2) == "\\u") {
            code = 65536 + (code - 55296) * 1024 + number(substr(line[row], col + 2, 4)) - 56320
            col += 6
        }
        return utf8(code)
    }
    col++
    if (code == "N") return utf8(133)
    if (code == "_") return utf8(160)
    if (code == "L") return utf8(8232)
    if (code == "P") return utf8(8233)
    if (code == "\t" || index(" \"/\\", code)) return code
    fail("\\" code " is not known inside double quotes")
    return ""
}

function number(text,    n, result) {
    result = 0
    text = tolower(text)
    for (n = 1; n <= length(text); n++) result = result * 16 + index("0123456789abcdef", substr(text, n, 1)) - 1
    return result
}

function utf8(code) {
    if (!code) { fail("a zero byte is not supported"); return "" }
    if (code < 128) return sprintf("%c", code)
    if (code < 2048) return sprintf("%c%c", 192 + int(code / 64), 128 + code % 64)
    if (code < 65536) return sprintf("%c%c%c", 224 + int(code / 4096), 128 + int(code / 64) % 64, 128 + code % 64)
    return sprintf("%c%c%c%c", 240 + int(code / 262144), 128 + int(code / 4096) % 64, \
        128 + int(code / 64) % 64, 128 + code % 64)
}

# The first character of the flow collection at or after the cursor, over line ends and comments.
function flow_peek(    text) {
    while (row <= lines) {
        text = substr(line[row], col)
        if (match(text, /[^ \t]/)) {
            if (substr(text, RSTART, 1) != "#") { col += RSTART - 1; return substr(text, RSTART, 1) }
        }
        row++
        col = 1
    }
    fail("a [ or { is not closed")
    return ""
}

function flow(path,    open, close_, mark, n, key) {
    open = flow_peek()
    if (open == "*") {
        match(substr(line[row], col), /^\*[^] \t,}]*/)
        key = substr(line[row], col + 1, RLENGTH - 1)
        col += RLENGTH
        alias(path, key)
        return
    }
    if (open == "\"" || open == "'") { emit(path, "str", quoted()); return }
    if (open != "[" && open != "{") { scalar(path, flow_plain(), ""); return }
    close_ = open == "[" ? "]" : "}"
    col++
    for (n = 0; !failed; n++) {
        mark = flow_peek()
        if (mark == close_) break
        if (open == "[") flow(join(path, n))
        else {
            key = mark == "\"" || mark == "'" ? quoted() : flow_plain()
            if (flow_peek() == ":") { col++; flow_entry(join(path, key)) }
            else emit(join(path, key), "null", "")
        }
        if (failed) return
        mark = flow_peek()
        if (mark == ",") col++
        else if (mark != close_) { fail("a comma or " close_ " was expected"); return }
    }
    if (failed) return
    col++
    if (!n) emit(path, open == "[" ? "list" : "map", "")
}

function flow_entry(path,    mark) {
    mark = flow_peek()
    if (mark == "," || mark == "}") emit(path, "null", "")
    else flow(path)
}

function flow_plain(    text, result, at) {
    result = ""
    for (;;) {
        text = substr(line[row], col)
        at = match(text, /[][,{}]|:([ \t]|$)|[ \t]#/)
        result = result (at ? substr(text, 1, at - 1) : text)
        sub(/[ \t]+$/, "", result)
        if (at) { col += at - 1; break }
        row++
        col = 1
        if (row > lines) { fail("a [ or { is not closed"); return "" }
        result = result " "
        match(line[row], /[^ \t]/)
        col = RSTART ? RSTART : length(line[row]) + 1
    }
    return result
}
