import { afterTest } from "../support/cleanup.ts";
import { type Service, type ServiceOptions, SMS, startService } from "../support/service.ts";
import { type Family, readExposition } from "./exposition.ts";

/** The metrics of a moment. */
export interface Scrape {
  readonly text: string;
  readonly families: readonly Family[];
  /** The value of one series, without `sms_agent_`; undefined where there is none. */
  value(name: string, labels?: Readonly<Record<string, string>>): number | undefined;
  /** How many series there are. */
  readonly series: number;
}

export async function scrape(service: Service): Promise<Scrape> {
  const response = await fetch(`${service.adminUrl}/metrics`, {
    headers: { authorization: `Bearer ${service.token}` },
  });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${response.status} ${text}`);
  const families = readExposition(text);
  const samples = families.flatMap((family) => family.samples);
  return {
    text,
    families,
    series: samples.length,
    value: (name, labels = {}) =>
      samples.find(
        (sample) =>
          sample.name === `sms_agent_${name}` &&
          Object.keys(sample.labels).length === Object.keys(labels).length &&
          Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
      )?.value,
  };
}

/** A service whose number answers everybody, until the test ends. */
export async function start(options: ServiceOptions = {}): Promise<Service> {
  const service = await startService({
    config: { channels: { sms: { ...SMS, allow_all_senders: true } } },
    ...options,
  });
  afterTest(service.close);
  return service;
}
