import { Class, clusterClass } from "./cluster-classes.ts";

/**
 * Where the next character cluster ends, by the rules of the calculator Twilio publishes: UAX #29 of
 * Unicode 10.0 with that implementation's own reading of flags and skin tones. A cluster is not divided
 * between two segments of a UCS-2 message, so the bill depends on these exact rules. Text is cut for people
 * elsewhere, by `Intl.Segmenter`.
 *
 * Runs in time linear in the cluster: the rules look only at what `Run` remembers of it.
 */
export function clusterEnd(text: string, start: number): number {
  const first = text.codePointAt(start);
  if (first === undefined) return start;
  const run = startRun(clusterClass(first));
  let at = start + width(first);
  while (at < text.length) {
    const codePoint = text.codePointAt(at) ?? 0;
    const next = clusterClass(codePoint);
    if (breaks(run, next)) return at;
    extendRun(run, next);
    at += width(codePoint);
  }
  return text.length;
}

function width(codePoint: number): number {
  return codePoint > 0xffff ? 2 : 1;
}

/** What the rules need to know of the code points gathered so far. */
interface Run {
  readonly start: number;
  previous: number;
  beforePrevious: number;
  /** Code points after the first, and how many of them are Extend and Regional_Indicator. */
  inner: number;
  innerExtends: number;
  innerFlags: number;
  hasExtend: boolean;
}

function startRun(start: number): Run {
  return {
    start,
    previous: start,
    beforePrevious: -1,
    inner: 0,
    innerExtends: 0,
    innerFlags: 0,
    hasExtend: start === Class.EXTEND,
  };
}

function extendRun(run: Run, next: number): void {
  run.beforePrevious = run.previous;
  run.previous = next;
  run.inner++;
  if (next === Class.EXTEND) {
    run.innerExtends++;
    run.hasExtend = true;
  }
  // Only flags that follow the first code point without a gap count; any other ends the run by the rule below.
  if (next === Class.REGIONAL_INDICATOR) run.innerFlags++;
}

function isEmojiBase(cls: number): boolean {
  return cls === Class.E_BASE || cls === Class.E_BASE_GAZ;
}

function isControl(cls: number): boolean {
  return cls === Class.CONTROL || cls === Class.CR || cls === Class.LF;
}

function breaks(run: Run, next: number): boolean {
  const { previous, start } = run;

  // A skin tone after marks belongs only to a base that takes one.
  if (next === Class.E_MODIFIER && run.inner > 0 && run.innerExtends === run.inner) {
    if (start !== Class.EXTEND && !isEmojiBase(start)) return true;
  }
  // Flags: a pair holds together only while nothing stands between its halves.
  if (previous !== Class.PREPEND && previous !== Class.REGIONAL_INDICATOR) {
    if (next === Class.REGIONAL_INDICATOR ? run.innerFlags === run.inner : run.innerFlags > 0) return true;
  }

  if (previous === Class.CR && next === Class.LF) return false;
  if (isControl(previous) || isControl(next)) return true;
  if (previous === Class.L) {
    if (next === Class.L || next === Class.V || next === Class.LV || next === Class.LVT) return false;
  }
  if ((previous === Class.LV || previous === Class.V) && (next === Class.V || next === Class.T)) return false;
  if ((previous === Class.LVT || previous === Class.T) && next === Class.T) return false;
  if (next === Class.EXTEND || next === Class.ZWJ || next === Class.SPACING_MARK) return false;
  if (previous === Class.PREPEND) return false;
  if (next === Class.E_MODIFIER) {
    const base = run.hasExtend ? (previous === Class.EXTEND ? run.beforePrevious : -1) : previous;
    if (isEmojiBase(base)) return false;
  }
  if (previous === Class.ZWJ && (next === Class.GLUE_AFTER_ZWJ || next === Class.E_BASE_GAZ)) return false;
  if (run.innerFlags > 0) return true;
  return !(previous === Class.REGIONAL_INDICATOR && next === Class.REGIONAL_INDICATOR);
}
