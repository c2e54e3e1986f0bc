#!/bin/sh
# Publish from a shell, with curl 7.82 or later:
#
#     export MEGACOMET_API_KEY=…          a key of scope push: megacomet key new shop --scope push
#     ./push.sh news '{"title": "hello"}'
#
# The data is JSON, a text has its quotes: '"hello"'. The server's answer goes to stdout, what went wrong to stderr with
# a status that is not 0.
set -eu

url=${MEGACOMET_URL:-http://127.0.0.1:8080}
key=${MEGACOMET_API_KEY:?is not set: it is what pushes are allowed with}
if [ $# != 2 ]; then
    echo "usage: $0 CHANNEL JSON" >&2
    exit 2
fi
case $1 in
    *[\"\\]*) echo "$0: the channel has a quote or a backslash, which this script does not escape: $1" >&2; exit 2 ;;
esac

# Whatever is sent twice with the same key is published once. So curl may repeat what had no answer.
once=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')

# The key comes in by stdin: what stands on a command line is seen by all users of the machine.
curl --silent --show-error --fail-with-body --connect-timeout 2 --max-time 10 \
    --retry 2 --retry-connrefused --retry-max-time 20 \
    --header @- --json "{\"channel\": \"$1\", \"key\": \"$once\", \"data\": $2}" "$url/api/push" <<EOT
Authorization: Bearer $key
EOT
echo
