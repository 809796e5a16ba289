FROM debian:bookworm-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends nodejs npm
WORKDIR /srv
COPY package.json .
RUN npm install --omit=dev --ignore-scripts

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends nodejs && rm -rf /var/lib/apt/lists/*
WORKDIR /srv
COPY --from=build /srv/node_modules node_modules
COPY package.json index.js ./
COPY lib lib
COPY examples/hello-world examples/hello-world
EXPOSE 3000
CMD ["node", "examples/hello-world/index.js"]
