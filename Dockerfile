# The broker as a container, with the commands and the SDK beside it. What it
# takes and how to run it: docs/operations.md. Nothing but the sources that
# .dockerignore names enters the build, and nothing but production packages and
# the built files enters the image.

FROM node:26-trixie-slim AS base
WORKDIR /app

# An own registry: docker build --secret id=npmrc,src=$HOME/.npmrc .
FROM base AS build
COPY package.json package-lock.json ./
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc npm ci --no-audit --no-fund
COPY . .
RUN npm run build && chmod +x dist/broker/main.js dist/client/commands/mlm.js dist/client/commands/mlm-tail.js

FROM base AS packages
COPY package.json package-lock.json ./
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc npm ci --omit=dev --no-audit --no-fund

FROM base
COPY package.json LICENSE ./
COPY --from=packages /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
# A volume takes over whom its directory belongs to, so that must exist here.
RUN ln -s /app/dist/broker/main.js /usr/local/bin/mlm-broker \
  && ln -s /app/dist/client/commands/mlm.js /usr/local/bin/mlm \
  && ln -s /app/dist/client/commands/mlm-tail.js /usr/local/bin/mlm-tail \
  && mkdir /data \
  && chown node:node /data

ENV NODE_ENV=production \
  MLM_BIND=tcp://*:9999 \
  MLM_DATA=/data
USER node
VOLUME /data
EXPOSE 9999
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["mlm", "ping"]
STOPSIGNAL SIGTERM
# The base image's entrypoint is left out: the command itself becomes process 1
# and gets the signals.
ENTRYPOINT []
CMD ["mlm-broker"]
