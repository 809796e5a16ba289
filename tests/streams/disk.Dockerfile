FROM t1
RUN dd if=/dev/zero of=/dev/full bs=1 count=1
