FROM t1
RUN <<EOF
set -e
echo inside
false
EOF
