# syntax=docker/dockerfile:1

# Node 22: Node 24 breaks float16 inputs of onnxruntime-node 1.29. glibc, which onnxruntime-node needs: no Alpine.
FROM node:22.21.1-bookworm-slim AS node

FROM node AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build

FROM node AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# The CUDA provider is no part of the npm package; the package's own script fetches it. The libraries of other systems go.
RUN npm ci --omit=dev --ignore-scripts \
 && ONNXRUNTIME_NODE_INSTALL=true node node_modules/onnxruntime-node/script/install.js \
 && cd node_modules/onnxruntime-node/bin/napi-v6 \
 && rm -rf darwin win32 linux/arm64 linux/x64/libonnxruntime_providers_tensorrt.so \
 && test -s linux/x64/libonnxruntime_providers_cuda.so

# CUDA 13, as the provider of onnxruntime-node 1.29 wants it. Without cuDNN: no operator of fewstep's graphs needs it.
FROM nvidia/cuda:13.0.1-runtime-ubuntu24.04
RUN useradd --system --uid 10001 --no-create-home fewstep
COPY --from=node /usr/local/bin/node /usr/local/bin/node
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json LICENSE ./
COPY models models
COPY playground playground
COPY report report

USER 10001
ENV FEWSTEP_HOST=0.0.0.0
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.FEWSTEP_PORT || 8080}/health/ready`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "dist/cli.js"]
CMD ["serve"]
