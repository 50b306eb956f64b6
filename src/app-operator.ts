import type { Core, Wake } from "./app-core.ts";
import type { Links } from "./app-links.ts";
import type { Storage } from "./app-store.ts";
import type { Channels } from "./channels.ts";
import type { Configuration } from "./configuration.ts";
import { sessionKey } from "./conversation.ts";
import type { MediaUploads } from "./media-uploads.ts";
import { createOperator, type Operator } from "./operator.ts";
import type { Turns } from "./turns.ts";

/** What the operator sees and does, by API, command line and console. */
export function openOperator(
  core: Core,
  parts: {
    readonly readiness: Storage["readiness"];
    readonly configuration: Configuration;
    readonly channels: Channels;
    readonly links: Links;
    readonly uploads: MediaUploads;
    readonly cancel: Turns["cancel"];
    readonly wake: Wake;
  },
): Operator {
  const { configuration, channels, links, uploads, cancel, wake } = parts;
  return createOperator({
    ...core,
    readiness: parts.readiness.look,
    configuration,
    channels,
    probe: links.probe,
    mediaDigest: (url) => uploads.digestOf(url),
    onSend: wake.sends,
    onTurn: wake.turns,
    onEnded: (conversation) => {
      const channel = core.settings().channels[conversation.channel];
      if (channel === undefined) return;
      for (const paired of [true, false])
        cancel(sessionKey(channel, conversation.address, paired), "The operator ended the conversation.");
    },
  });
}
