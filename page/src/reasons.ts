/** A reason's sentence and its remedy, which the agent puts behind the last semicolon. */
export function splitReason(reason: string): readonly [string, string] {
  const cut = reason.lastIndexOf("; ");
  if (cut < 0) return [reason, ""];
  const remedy = reason.slice(cut + 2);
  return [reason.slice(0, cut), `${remedy.charAt(0).toUpperCase()}${remedy.slice(1)}.`];
}
