import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Service, type ServiceOptions, startService } from "../support/service.ts";

/** A file as a person writes it: comments, blank lines, three kinds of quoting, two kinds of maps. */
export const YAML = `# The phones of the house.
server: { listen: 127.0.0.1:0 }
admin: { listen: "127.0.0.1:0" }   # only here
data_dir: ./data

channels:
  sms:                              # the main number
    provider: simulator
    from_number: "+15550100001"
    mode: message                   # message | signal

    agent: 'parrot'
    debounce: 0s
    allow_all_senders: true
  codes: { provider: simulator, from_number: '+15550100002', mode: "signal" }
agents: { parrot: { type: echo } }
`;

/** The number of the channel `codes`. */
export const CODES_NUMBER = "+15550100002";

export function startWithYaml(options: ServiceOptions = {}): Promise<Service> {
  return startService({ yaml: YAML, ...options });
}

export function configPath(service: Service): string {
  return join(service.folder, "sms.yaml");
}

export function fileOf(service: Service): string {
  return readFileSync(configPath(service), "utf8");
}

/** Changes the file as an editor does, in place. Every part must be there. */
export function edit(
  service: Service,
  ...changes: readonly (readonly [before: string, after: string])[]
): void {
  let text = fileOf(service);
  for (const [before, after] of changes) {
    if (!text.includes(before)) throw new Error(`the file has no ${before}`);
    text = text.replace(before, () => after);
  }
  writeFileSync(configPath(service), text);
}

export function linesOf(service: Service, event: string): readonly Readonly<Record<string, unknown>>[] {
  return service.logs.filter((line) => line.event === event).map((line) => line.fields);
}

/** Texts, waits until it is taken in and all that follows is done; answers the stored message. */
export async function texted(service: Service, from: string, body: string, to?: string) {
  const sid = await service.admitted(from, body, to);
  await service.app.idle();
  return service.message(sid);
}
