"use strict";
// Alignment of what several cases wrote with one reference, by character.

const MAX_CELLS = 4e6; // of one table of distances; longer texts differ as a whole

// Characters two columns wide in a fixed-width font (East Asian Wide and Fullwidth, and emoji).
const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;

/** The fewest substitutions, deletions and insertions that turn one text into another.
 *
 *  reference, written: arrays of characters. Returns `at`, what stands at each character of the
 *  reference (null where it was left out), `before`, what was inserted before it (by its place;
 *  the length of the reference is the end), and `errors`, their number. */
function align(reference, written) {
  const at = new Array(reference.length).fill(null);
  const before = new Map();
  let start = 0;
  let refEnd = reference.length;
  let end = written.length;
  while (start < refEnd && start < end && reference[start] === written[start]) {
    at[start] = written[start];
    start++;
  }
  while (refEnd > start && end > start && reference[refEnd - 1] === written[end - 1]) {
    at[--refEnd] = written[--end];
  }
  const rows = refEnd - start;
  const width = end - start + 1;
  if (rows * width > MAX_CELLS) {
    before.set(start, written.slice(start, end));
    return { at, before, errors: Math.max(rows, width - 1), whole: true };
  }
  const distance = new Uint32Array((rows + 1) * width);
  for (let j = 1; j < width; j++) distance[j] = j;
  for (let i = 1; i <= rows; i++) {
    const here = i * width;
    distance[here] = i;
    for (let j = 1; j < width; j++) {
      const change = reference[start + i - 1] === written[start + j - 1] ? 0 : 1;
      distance[here + j] = Math.min(
        distance[here - width + j - 1] + change,
        distance[here - width + j] + 1,
        distance[here + j - 1] + 1,
      );
    }
  }
  let i = rows;
  let j = width - 1;
  while (i > 0 || j > 0) {
    const value = distance[i * width + j];
    const same = i > 0 && j > 0 && reference[start + i - 1] === written[start + j - 1];
    if (i > 0 && j > 0 && value === distance[(i - 1) * width + j - 1] + (same ? 0 : 1)) {
      at[start + --i] = written[start + --j];
    } else if (i > 0 && value === distance[(i - 1) * width + j] + 1) {
      i--;
    } else {
      const place = start + i;
      before.set(place, [written[start + --j], ...(before.get(place) || [])]);
    }
  }
  return { at, before, errors: distance[distance.length - 1], whole: false };
}

/** Columns of a table with the reference in its first row and one row for each text.
 *
 *  Each is { reference, cells, width }; an empty string is a blank beside another's insertion,
 *  null a character that was left out. */
function columnsOf(reference, texts) {
  const aligned = texts.map((text) => align(reference, text));
  const columns = [];
  const add = (character, cells) => {
    const wide = [character, ...cells].some((each) => each && WIDE.test(each));
    columns.push({ reference: character, cells, width: wide ? 2 : 1 });
  };
  for (let place = 0; place <= reference.length; place++) {
    const inserted = aligned.map((each) => each.before.get(place) || []);
    const most = Math.max(0, ...inserted.map((each) => each.length));
    for (let n = 0; n < most; n++) add("", inserted.map((each) => each[n] ?? ""));
    if (place < reference.length) add(reference[place], aligned.map((each) => each.at[place]));
  }
  return columns;
}

/** Cut columns into lines at most `width` wide, where possible at a space of the reference. */
function linesOf(columns, width) {
  const lines = [];
  let line = [];
  let used = 0;
  let space = 0;
  for (const column of columns) {
    if (used + column.width > width && line.length) {
      const cut = space > line.length / 2 ? space : line.length;
      const rest = line.slice(cut);
      lines.push(line.slice(0, cut));
      line = rest;
      used = rest.reduce((sum, each) => sum + each.width, 0);
      space = 0;
    }
    line.push(column);
    used += column.width;
    if (column.reference === " ") space = line.length;
  }
  if (line.length) lines.push(line);
  return lines;
}

/** What a cell says of a character: same, changed, missing, added, or blank. */
function kindOf(reference, written) {
  if (written === null) return "missing";
  if (written === "") return "blank";
  if (reference === "") return "added";
  return reference === written ? "same" : "changed";
}
