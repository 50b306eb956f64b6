import type { Agent } from "../agent.ts";
import { describeMedia } from "./attachments.ts";

/** Answers with the text it got. A picture without words is answered with what it was. */
export function createEchoAgent(): Agent {
  return {
    async run({ text, media }) {
      if (text.trim() !== "") return { text };
      return media.length === 0 ? {} : { text: `Received ${describeMedia(media)}` };
    },
  };
}
