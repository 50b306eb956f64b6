import type { LlmAgent } from "../settings.ts";
import { MAX_RESULT } from "./tool-result.ts";

/** How much a request asks of the model; made smaller where the model cannot do it. */
export interface Shape {
  /** Messages of the conversation. */
  readonly history: number;
  /** Bytes of each tool result. */
  readonly maxResult: number;
  readonly images: boolean;
  readonly tools: boolean;
}

export type Adaptation = "too_long" | "no_images" | "no_tools";

export function fullShape(settings: LlmAgent): Shape {
  return { history: settings.history, maxResult: MAX_RESULT, images: true, tools: true };
}

/** 4xx other than a wrong key, a rate limit or a time-out: the request itself is not taken. */
const REFUSING = new Set([400, 404, 413, 415, 422]);

/**
 * What to leave out after the provider refused a request of this shape: the conversation and long tool results
 * where they exceed the model's window, pictures or tools where the model has no use for them. Undefined where
 * nothing of that is the matter. `refused` is what the provider said; there is no common code for any of this.
 */
export function adapt(
  shape: Shape,
  status: number,
  refused: string,
): { readonly shape: Shape; readonly why: Adaptation } | undefined {
  if (!REFUSING.has(status)) return undefined;
  if (shape.tools && NO_TOOLS.test(refused)) return { shape: { ...shape, tools: false }, why: "no_tools" };
  if (shape.images && NO_IMAGES.test(refused))
    return { shape: { ...shape, images: false }, why: "no_images" };
  if (!TOO_LONG.test(refused) && status !== 413) return undefined;
  const smaller =
    shape.history > 4
      ? { ...shape, history: Math.max(4, Math.floor(shape.history / 4)), maxResult: shape.maxResult / 4 }
      : { ...shape, history: 1, maxResult: 2 * 1024 };
  const same = smaller.history === shape.history && smaller.maxResult === shape.maxResult;
  return same ? undefined : { shape: smaller, why: "too_long" };
}

const NO_TOOLS =
  /(does|do) not support (tool|function)|no endpoints found that support tool|(tools?|functions?)\b[^.]{0,40}\b(is|are) not supported|--enable-auto-tool-choice/i;
const NO_IMAGES =
  /image_url is only supported|(image|vision|multimodal|mmproj|image_url)[^.]{0,60}\b(not supported|unsupported|not support|not enabled)|(not support|unsupported|invalid|only)[^.]{0,60}\b(image|vision|multimodal|image_url)/i;
const TOO_LONG =
  /context[ _-]?(length|window|size)|maximum (context|prompt|number of (input )?tokens)|prompt is too long|too many (input )?tokens|(input|prompt|request)[^.]{0,30}\b(too long|too large|exceeds)|reduce the length|n_ctx/i;
