// Events of jobs in words for people, and as JSON for programs.
import { contentBytes } from '../../../protocol/index.js';
import type { JobEvent } from '../../index.js';
import { bodyFields } from '../shared/body-text.js';
import { safeJson, safeText } from '../shared/safe-text.js';
import { clockTime, count, duration } from '../shared/units.js';

/** One event on a line, harmless: `10:41:03.501  started  worker-1, attempt 1`. */
export function eventLine(event: JobEvent): string {
  const said = detailOf(event);
  const head = `${clockTime(new Date(event.timeMs))}  ${event.event}`;
  return said === '' ? head : `${head}  ${safeText(said)}`;
}

/** What an event tells beside its name; any text may be in it. */
export function detailOf(event: JobEvent): string {
  const parts = [
    event.event === 'queued' && event.subject !== undefined ? `"${event.subject}"` : '',
    event.sender === undefined || event.sender === '' ? '' : `from ${event.sender}`,
    event.progress === undefined ? '' : progressText(event),
    event.worker ?? '',
    event.attempt === undefined ? '' : `attempt ${event.attempt}`,
    event.cached ? 'not run: the result was known' : '',
    event.reason ?? '',
    event.delayMs === undefined ? '' : `again in ${duration(event.delayMs)}`,
    contentText(event),
  ];
  return parts.filter((part) => part !== '').join(', ');
}

/** `45 %: upscaling` */
export function progressText({ progress = {} }: JobEvent): string {
  const { fraction, note } = progress;
  const share = fraction === undefined ? '' : `${Math.floor(fraction * 100)} %`;
  return [share, note ?? ''].filter((part) => part !== '').join(': ');
}

/** An event as one JSON object; the body of parts and results as `mlm tail --json` shows bodies. */
export function eventJson(event: JobEvent): string {
  const { service, id, sequence, sender, subject, worker, attempt, progress } = event;
  const head = JSON.stringify({
    time: new Date(event.timeMs).toISOString(),
    service,
    id,
    event: event.event,
    sequence,
    sender,
    subject,
    worker,
    attempt,
    ...progress,
    reason: event.reason,
    delayMs: event.delayMs,
    cached: event.cached || undefined,
  });
  if (!hasContent(event)) return safeJson(head);
  return safeJson(`${head.slice(0, -1)},${bodyFields(event.content)}}`);
}

function contentText(event: JobEvent): string {
  if (!hasContent(event)) return '';
  return count(contentBytes(event.content), 'byte');
}

function hasContent({ event }: JobEvent): boolean {
  return event === 'partial' || event === 'succeeded';
}
