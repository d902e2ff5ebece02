# The broker as a container, with the commands and the SDK beside it; and, with
# `--target workers`, the example workers. How to run both: docs/operations.md.
# Nothing but the sources that .dockerignore lets through enters the build, and
# nothing but production packages and what was built enters an image.
#
# An own registry of packages: docker build --secret id=npmrc,src=$HOME/.npmrc .

FROM node:26-trixie-slim AS base
WORKDIR /app

FROM base AS build
COPY package.json package-lock.json ./
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc npm ci --no-audit --no-fund
COPY . .
RUN npm run build && chmod +x dist/broker/main.js dist/client/commands/mlm.js dist/client/commands/mlm-tail.js

FROM base AS packages
COPY package.json package-lock.json ./
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc npm ci --omit=dev --no-audit --no-fund

# The image without a command of its own: the commands on the path, run as the
# base image's user `node`.
# The base image's entrypoint is left out, so that a command itself becomes
# process 1 and gets the signals.
FROM base AS runtime
COPY package.json LICENSE ./
COPY --from=packages /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
# A volume takes over whom its directory belongs to, so that must exist here.
RUN ln -s /app/dist/broker/main.js /usr/local/bin/mlm-broker \
  && ln -s /app/dist/client/commands/mlm.js /usr/local/bin/mlm \
  && ln -s /app/dist/client/commands/mlm-tail.js /usr/local/bin/mlm-tail \
  && mkdir /data \
  && chown 1000:1000 /data
ENV NODE_ENV=production
# As a number, so that who demands a user without privileges can see that it is one.
USER 1000:1000
ENTRYPOINT []
STOPSIGNAL SIGTERM

# What the example workers need beyond that, in the version of the lock file.
FROM packages AS workers-packages
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc \
  sharp=$(node -p 'require("./package-lock.json").packages["node_modules/sharp"].version') \
  && npm pkg delete devDependencies \
  && npm install --no-save --no-audit --no-fund "sharp@$sharp"

FROM runtime AS workers
COPY --from=workers-packages /app/node_modules ./node_modules
CMD ["node", "dist/workers/examples/resize-worker.js"]

FROM runtime AS broker
ENV MLM_BIND=tcp://*:9999 \
  MLM_DATA=/data
VOLUME /data
EXPOSE 9999
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["mlm", "ping"]
CMD ["mlm-broker"]
