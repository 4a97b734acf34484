# docker build --tag msclnet .      docs/how-to/container.md says how to use it
FROM python:3.11-slim

# What train.compile needs beside Python's headers, which this image has.
RUN apt-get update -q && apt-get install -qy --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*

ARG UV_VERSION=0.13.9
RUN python -m pip install --quiet --no-cache-dir uv==${UV_VERSION}

WORKDIR /opt/msclnet
COPY requirements.lock ./
RUN uv pip install --quiet --system --no-cache --require-hashes -r requirements.lock

COPY pyproject.toml README.md LICENSE Snakefile ./
COPY msclnet ./msclnet
COPY workflow ./workflow
COPY config ./config
COPY profiles ./profiles
COPY envs ./envs
RUN uv pip install --quiet --system --no-cache --no-deps -e .

# For `docker run --user` with an id that the image does not know: caches go to HOME, and Snakemake asks for a name.
ENV HOME=/tmp USER=msclnet MLFLOW_DISABLE_TELEMETRY=true
RUN useradd --no-create-home msclnet && mkdir /work && chown msclnet /work
USER msclnet
WORKDIR /work
ENTRYPOINT ["snakemake", "--snakefile", "/opt/msclnet/Snakefile"]
CMD ["--cores", "all"]
