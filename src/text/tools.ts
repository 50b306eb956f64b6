import type { TextTools } from "../text.ts";
import { economise } from "./economy.ts";
import { renderMarkdown } from "./markdown.ts";
import { countSegments } from "./segments.ts";
import { splitText } from "./split.ts";
import { truncateText } from "./truncate.ts";

export function createTextTools(): TextTools {
  return {
    render: (markdown, economy) => economise(renderMarkdown(markdown), economy),
    segments: countSegments,
    split: splitText,
    truncate: truncateText,
  };
}
