// The public entry of `malamute-ts/testing`: run a handler without a broker, run
// workers and clients with one. It is for tests only.
//
// ```ts
// import { runHandler, startTestBroker } from 'malamute-ts/testing';
//
// const run = await runHandler(shout, { body: Buffer.from('hello') });
// assert.equal(run.reply.text(), 'HELLO');
//
// const broker = await startTestBroker();
// await broker.start([shout]);
// const client = await broker.connect();
// await broker.close();
// ```
export { HandlerRun, type HandlerFailure, type HandlerWords } from './handler-run.js';
export type { PipelineRun } from './run-pipeline.js';
export type { LogLine } from './recorded-log.js';
export { runHandler, RunningHandler, startHandler, type TestedRequest } from './run-handler.js';
export { startTestBroker, type TestBroker, type TestBrokerOptions } from './test-broker.js';
export { openWorkersFile, type WorkersFile, type WorkersFileOptions } from './workers-file.js';
