// The public entry of `malamute-ts/workers`: write a worker, run it.
//
// ```ts
// import { defineWorker, JobError, runWorkers } from 'malamute-ts/workers';
//
// const shout = defineWorker({
//   service: 'shout',
//   handle({ body }) {
//     const text = body.text();
//     if (text === '') throw new JobError('bad-input', 'there is nothing to shout');
//     return Buffer.from(text.toUpperCase());
//   },
// });
//
// await runWorkers([shout]); // until SIGTERM, at the broker of MLM_ENDPOINT
// ```
export type { LabelChanges } from './announced.js';
export { startWorkers, type Ending, type WorkerGroup } from './group.js';
export { Body, JobError, type BodySource, type Job, type JobClient } from './job.js';
export {
  createWorkerLog,
  silentLog,
  type LogFields,
  type LogLevel,
  type LogOptions,
  type WorkerLog,
} from './log.js';
export * from './pipelines/index.js';
export { runWorkers } from './run.js';
export type { WorkersOptions } from './settings.js';
export { defineWorker, type Worker, type WorkerDefinition } from './worker.js';
