// Texts without a page: times, differences, files to download.
export const clock = (seconds) => {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
};

const stamp = (seconds, mark) => {
  const ms = Math.round(seconds * 1000);
  const two = (number) => String(Math.floor(number)).padStart(2, "0");
  const rest = String(ms % 1000).padStart(3, "0");
  return `${two(ms / 3600000)}:${two((ms / 60000) % 60)}:${two((ms / 1000) % 60)}${mark}${rest}`;
};

/** Segments ({start, end, text}) as a file's content. */
export function written(format, segments, whole) {
  if (format === "txt") return segments.map((segment) => segment.text).join("\n") + "\n";
  if (format === "json") return JSON.stringify({ ...whole, segments }, null, 2) + "\n";
  const mark = format === "srt" ? "," : ".";
  const cues = segments.map(({ start, end, text }, index) =>
    `${format === "srt" ? `${index + 1}\n` : ""}${stamp(start, mark)} --> ${stamp(end, mark)}\n${text}\n`);
  return (format === "vtt" ? "WEBVTT\n\n" : "") + cues.join("\n");
}

/** Pieces [kind, text] that turn `a` into `b`: "same", "del" or "ins"; by words, by characters
 * where there are few. Longest common subsequence. */
export function differences(a, b) {
  const cut = (text) => (text.length + b.length < 600 ? [...text] : text.split(/(?<=\s)/));
  const [x, y] = [cut(a), cut(b)];
  const table = Array.from({ length: x.length + 1 }, () => new Uint16Array(y.length + 1));
  for (let i = x.length - 1; i >= 0; i--) {
    for (let j = y.length - 1; j >= 0; j--) {
      table[i][j] = x[i] === y[j] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
    }
  }
  const pieces = [];
  const add = (kind, text) => {
    const last = pieces.at(-1);
    if (last?.[0] === kind) last[1] += text;
    else pieces.push([kind, text]);
  };
  let [i, j] = [0, 0];
  while (i < x.length || j < y.length) {
    if (i < x.length && j < y.length && x[i] === y[j]) {
      add("same", x[i++]);
      j++;
    } else if (j >= y.length || (i < x.length && table[i + 1][j] >= table[i][j + 1])) add("del", x[i++]);
    else add("ins", y[j++]);
  }
  return pieces;
}
