// Numbers and times for people.

const NUMBER = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** 12 345 as "12,345"; from a million on short. */
export function count(value: number): string {
  if (value < 1e6) return NUMBER.format(value);
  const [size, unit] = value < 1e9 ? [1e6, "M"] : value < 1e12 ? [1e9, "G"] : [1e12, "T"];
  return `${(value / size).toFixed(1)} ${unit}`;
}

export function bytes(value: number): string {
  if (value < 1024) return `${value} B`;
  let size = value;
  for (const unit of ["KiB", "MiB", "GiB", "TiB"]) {
    size /= 1024;
    if (size < 1024 || unit === "TiB") return `${size.toFixed(size < 10 ? 1 : 0)} ${unit}`;
  }
  return "";
}

/** A duration: "now", "12 s", "3 min", "2 h", "4 d"; at least two of the unit that is shown. */
export function lasting(seconds: number): string {
  if (seconds < 1) return "now";
  for (const [unit, size] of [
    ["d", 86400],
    ["h", 3600],
    ["min", 60],
  ] as const) {
    if (seconds >= 2 * size) return `${Math.floor(seconds / size)} ${unit}`;
  }
  return `${Math.floor(seconds)} s`;
}

export function ago(seconds: number): string {
  return seconds < 1 ? "now" : `${lasting(seconds)} ago`;
}

/** How long ago a time of the agent's was; the clocks may differ a little, so never in the future. */
export function since(time: string, now: number): string {
  return ago(Math.max(0, (now - Date.parse(time)) / 1000));
}

/** The time of day, local, with the date where that is not today's. */
export function clock(time: string, now: number): string {
  const then = new Date(time);
  const day = then.toDateString() === new Date(now).toDateString() ? "" : `${then.toLocaleDateString("en-CA")} `;
  return `${day}${then.toLocaleTimeString("en-GB")}`;
}

export function plural(number: number, one: string, many = `${one}s`): string {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** `tcp 5432`, or the protocol alone. */
export function service(protocol: string, port: number | null): string {
  return port === null ? protocol : `${protocol} ${port}`;
}
