import type { Command } from "commander";
import { call } from "./client.ts";
import { uploaded } from "./media.ts";
import { print, stdout } from "./output.ts";
import { chooseChannel } from "./pair.ts";
import { sent } from "./shapes.ts";
import { withTarget } from "./target.ts";

interface SendOptions {
  readonly channel?: string;
  readonly to: string;
  readonly media?: readonly string[];
  readonly contentSid?: string;
  readonly contentVariables?: string;
  readonly idempotencyKey?: string;
  readonly json?: boolean;
}

export function sendVerb(program: Command): void {
  const verb = program
    .command("send [text]")
    .description("send a text")
    .requiredOption("--to <address>", "+E164 number, or whatsapp:+E164")
    .option("--channel <id>", "the channel to send from; needed when there are several")
    .option("--media <file-or-url...>", "pictures: local files, or http(s) URLs; at most 10")
    .option("--content-sid <sid>", "a content template (HX…)")
    .option("--content-variables <json>", "its variables, as JSON")
    .option("--idempotency-key <key>", "the same key sends once, however often it is tried")
    .option("--json", "print the API's answer")
    .addHelpText(
      "after",
      '\nExamples:\n  sms-agent send --to +15551234567 "The washing machine is done."\n  sms-agent send "A picture" --to +15551234567 --media https://example.com/a.jpg\n  sms-agent send "The front door" --to +15551234567 --media ./door.jpg',
    );
  withTarget<SendOptions>(verb, async (target, options, text) => {
    const channel = await chooseChannel(target, options.channel);
    const media = options.media === undefined ? undefined : await uploaded(target, channel, options.media);
    const answer = await call(target, "POST", "/messages", sent, {
      body: {
        channel,
        to: options.to,
        ...(text === undefined ? {} : { body: text }),
        ...(media === undefined ? {} : { media_urls: media }),
        ...(options.contentSid === undefined ? {} : { content_sid: options.contentSid }),
        ...(options.contentVariables === undefined ? {} : { content_variables: options.contentVariables }),
      },
      headers: options.idempotencyKey === undefined ? {} : { "idempotency-key": options.idempotencyKey },
    });
    print(stdout, answer, options.json === true, (value) => `${value.id}  ${value.state}`);
  });
}
