FROM t1
RUN for i in $(seq 1 40); do echo "line $i"; done; \
    printf 'progress 1%%\rprogress 2%%\rprogress 3%%\r\n'; \
    printf '\033[31m도커 학습 앱\033[0m\n'; exit 1
