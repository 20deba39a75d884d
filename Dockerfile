# The service from this clone: docker build -t parcelwire .
FROM python:3.13-slim

WORKDIR /opt/parcelwire
COPY lock lock
RUN pip install --no-cache-dir --no-deps --require-hashes -r lock/build.txt -r lock/runtime.txt
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
RUN pip install --no-cache-dir --no-deps --no-build-isolation . \
    && useradd --uid 10001 parcelwire \
    && install -d -m 700 -o parcelwire -g parcelwire /data

USER parcelwire
ENV PARCELWIRE_DATA=/data PARCELWIRE_LISTEN=0.0.0.0:8017
VOLUME /data
EXPOSE 8017
ENTRYPOINT ["parcelwire"]
CMD ["serve"]
