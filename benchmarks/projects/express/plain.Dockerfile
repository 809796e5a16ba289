FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y nodejs npm
WORKDIR /srv
COPY . .
RUN npm install
EXPOSE 3000
CMD npm exec -- node examples/hello-world/index.js
