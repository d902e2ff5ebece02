// Throughput and latency with MLM/1 clients that do not batch: streams, mail,
// services, ping-pong. Each side is a process of its own.
import { onEach, type Comparison, type Context, type Group, type Sample } from '../comparison.js';
import type { Peer, RunningBroker } from '../peers/peer.js';
import { acksEndpoint, cpuUs, freshName, mustBeComplete, perSecond, play } from './parts.js';

const STREAM_WINDOW = 10_000;
const MAIL_WINDOW = 1000;
const REQUESTS_IN_FLIGHT = 64;

/** Comparisons of issue "Speed": v1 clients, 100-octet bodies. */
export function speed(peers: readonly Peer[]): Group {
  return {
    title: 'Speed: MLM/1 clients that do not batch, 100-octet bodies',
    notes: [
      `Senders keep a window of messages on their way (streams ${STREAM_WINDOW}, mail ${MAIL_WINDOW}),` +
        ' acknowledged by the receivers on a socket around the broker every tenth of it:' +
        " the C broker's queues have no bound, ours have.",
      `Requests: ${REQUESTS_IN_FLIGHT} in flight, one worker, replies as mail. Ping-pong: one message at a time, there and back.`,
      'The eight readers are eight sessions of one process.',
    ],
    comparisons: [
      throughput('stream-1-1', 'stream, 1 writer → 1 reader', 1, peers, stream(1)),
      throughput('stream-1-8', 'stream, 1 writer → 8 readers, deliveries', 1, peers, stream(8)),
      throughput('mailbox', 'mailbox, owner online', 3, peers, mailbox),
      throughput('service', 'service, request → worker → reply', 1.5, peers, service),
      pingPong(peers),
    ],
  };
}

type Measure = (broker: RunningBroker, context: Context) => Promise<Sample>;

function throughput(
  name: string,
  title: string,
  least: number,
  peers: readonly Peer[],
  measure: Measure,
): Comparison {
  return {
    name,
    rows: [
      { figure: 'rate', title, unit: '/s', ratio: { least } },
      { figure: 'brokerUs', title: '  broker CPU for each', unit: 'µs' },
      { figure: 'loadUs', title: '  clients’ CPU for each', unit: 'µs' },
    ],
    contenders: onEach(peers, measure),
    runs: 'alternate',
  };
}

function stream(sessions: number): Measure {
  return async (broker, context) => {
    const shared = {
      endpoint: broker.endpoint,
      acks: acksEndpoint(context),
      target: freshName('stream'),
      window: STREAM_WINDOW,
    };
    const { results, brokerCpuMs } = await play(context, broker, [
      { role: 'read', options: { ...shared, address: freshName('reader'), sessions } },
      { role: 'write', options: { ...shared, address: 'writer', seconds: context.seconds } },
    ]);
    const [read, write] = [results[0]!, results[1]!];
    mustBeComplete(write.count * sessions, read);
    return {
      rate: perSecond(read.count, write.firstNs, read.lastNs),
      brokerUs: cpuUs(brokerCpuMs, read.count),
      loadUs: cpuUs(read.cpuMs + write.cpuMs, read.count),
    };
  };
}

const mailbox: Measure = async (broker, context) => {
  const owner = freshName('owner');
  const shared = {
    endpoint: broker.endpoint,
    acks: acksEndpoint(context),
    window: MAIL_WINDOW,
  };
  const { results, brokerCpuMs } = await play(context, broker, [
    { role: 'receive', options: { ...shared, address: owner } },
    {
      role: 'send',
      options: { ...shared, address: 'sender', target: owner, seconds: context.seconds },
    },
  ]);
  const [receive, send] = [results[0]!, results[1]!];
  mustBeComplete(send.count, receive);
  return {
    rate: perSecond(receive.count, send.firstNs, receive.lastNs),
    brokerUs: cpuUs(brokerCpuMs, receive.count),
    loadUs: cpuUs(receive.cpuMs + send.cpuMs, receive.count),
  };
};

const service: Measure = async (broker, context) => {
  const { endpoint } = broker;
  const target = freshName('service');
  const { results, brokerCpuMs } = await play(context, broker, [
    { role: 'work', options: { endpoint, target, address: freshName('worker') } },
    {
      role: 'request',
      options: {
        endpoint,
        target,
        address: freshName('requester'),
        window: REQUESTS_IN_FLIGHT,
        seconds: context.seconds,
      },
    },
  ]);
  const [work, request] = [results[0]!, results[1]!];
  mustBeComplete(request.sent!, request);
  return {
    rate: perSecond(request.count, request.firstNs, request.lastNs),
    brokerUs: cpuUs(brokerCpuMs, request.count),
    loadUs: cpuUs(work.cpuMs + request.cpuMs, request.count),
  };
};

function pingPong(peers: readonly Peer[]): Comparison {
  return {
    name: 'ping-pong',
    rows: [
      {
        figure: 'p50Us',
        title: 'mailbox ping-pong, p50',
        unit: 'µs',
        ratio: { most: 1.2 },
      },
      { figure: 'p99Us', title: 'mailbox ping-pong, p99', unit: 'µs' },
    ],
    contenders: onEach(peers, async (broker, context) => {
      const { endpoint } = broker;
      const pong = freshName('pong');
      const { results } = await play(context, broker, [
        { role: 'pong', options: { endpoint, address: pong } },
        {
          role: 'ping',
          options: {
            endpoint,
            address: freshName('ping'),
            target: pong,
            seconds: context.seconds,
          },
        },
      ]);
      const [answered, ping] = [results[0]!, results[1]!];
      mustBeComplete(answered.count, ping);
      return { p50Us: ping.p50Us!, p99Us: ping.p99Us! };
    }),
    runs: 'alternate',
  };
}
