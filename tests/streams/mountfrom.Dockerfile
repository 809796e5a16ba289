FROM t1
RUN --mount=type=bind,source=nowhere.txt,target=/x cat /x
