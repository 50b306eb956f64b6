import type { Usage as UsageAnswer } from "./api.ts";
import { useLoad } from "./live.ts";
import { Empty, Note } from "./parts.tsx";

type Day = UsageAnswer["days"][number];

/** What the texts of the last thirty days were, and what they cost. */
export function Usage() {
  const { data, error } = useLoad<UsageAnswer>("/usage?days=30", { on: ["message.status"], every: 30_000 });
  const money = (amount: number) =>
    new Intl.NumberFormat([], {
      style: "currency",
      currency: data?.currency ?? "USD",
      minimumFractionDigits: 2,
      maximumFractionDigits: 4,
    }).format(amount);
  const cost = (data?.days ?? []).reduce((sum, day) => sum + day.cost, 0);
  return (
    <section>
      <h1>Usage</h1>
      <Note error={error} />
      {data !== undefined && (
        <>
          <div class="figures">
            <Figure value={money(cost)} what="in 30 days" />
            <Figure
              value={`${data.limits.used_today} / ${data.limits.segments_per_day}`}
              what="segments sent today, of the day's limit"
            />
          </div>
          <progress
            aria-label="Segments sent today, of the day's limit"
            max={data.limits.segments_per_day}
            value={data.limits.used_today}
          />
          {data.days.length === 0 && <Empty>Nothing was sent or received.</Empty>}
          {data.days.length > 0 && <Days days={data.days} money={money} />}
        </>
      )}
    </section>
  );
}

function Figure({ value, what }: { readonly value: string; readonly what: string }) {
  return (
    <p class="figure">
      <strong>{value}</strong>
      <span class="quiet">{what}</span>
    </p>
  );
}

function Days({
  days,
  money,
}: {
  readonly days: readonly Day[];
  readonly money: (amount: number) => string;
}) {
  const most = Math.max(...days.map(({ segments }) => segments), 1);
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th>Day</th>
            <th>Channel</th>
            <th>In</th>
            <th>Out</th>
            <th>Segments out</th>
            <th>Cost</th>
          </tr>
        </thead>
        <tbody>
          {days.map((day) => (
            <tr key={`${day.day}/${day.channel}`}>
              <td>{day.day}</td>
              <td>{day.channel}</td>
              <td>{day.inbound}</td>
              <td>{day.outbound}</td>
              <td>
                <span class="bar">
                  <meter min={0} max={most} value={day.segments} aria-label={`${day.segments} segments`} />
                  {day.segments}
                </span>
              </td>
              <td>{money(day.cost)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
