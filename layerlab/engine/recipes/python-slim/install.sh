#!/bin/sh
# Puts Debian's CPython 3.11 below /usr/local, as the official image has it, instead of installing
# it: then sys.prefix, `pip install --prefix`, site-packages and the interpreter's path are the same
# ones, and a python3 that a Dockerfile installs with apt does not collide with it.
set -eu
apt-get -q update
# What the interpreter and its modules link to (Depends of libpython3.11-stdlib and -minimal).
apt-get -qy install --no-install-recommends \
    libbz2-1.0 libcrypt1 libdb5.3 libexpat1 libffi8 liblzma5 libncursesw6 libnsl2 libreadline8 \
    libsqlite3-0 libssl3 libtinfo6 libtirpc3 libuuid1 media-types zlib1g

work=/run/python
mkdir -p "$work/root"
cd "$work"
# apt's sandbox user may not write here; the packages are checked all the same.
apt-get -q -o APT::Sandbox::User=root download \
    python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libpython3.11 libpython3.11-dev \
    python3.11-venv python3-distutils python3-lib2to3 python3-pip-whl python3-setuptools-whl \
    python3-wheel
for package in ./*.deb; do dpkg -x "$package" root; done
cd root/usr
triplet=$(basename "$(ls -d lib/*-linux-gnu*)")

# The interpreter, its library, headers, and the wheels that `python -m venv` installs from.
lib=/usr/local/lib/python3.11
mkdir -p /usr/local/bin /usr/local/lib /usr/local/include /usr/share/python-wheels
rm -f lib/python3.11/config-*/*.a lib/python3.11/config-*/*.so
rm -rf lib/python3.11/EXTERNALLY-MANAGED lib/python3.11/sitecustomize.py
cp -a lib/python3.11 "$lib"
cp -a bin/python3.11 /usr/local/bin/
cp -a "lib/$triplet"/libpython3.11.so* /usr/local/lib/
cp -a include/python3.11 /usr/local/include/
cp "include/$triplet/python3.11/pyconfig.h" /usr/local/include/python3.11/pyconfig.h
cp share/python-wheels/*.whl /usr/share/python-wheels/
sed -e 's#^prefix="/usr"#prefix="/usr/local"#' -e "s#/usr/lib/$triplet#/usr/local/lib#" \
    bin/*-python3.11-config > /usr/local/bin/python3.11-config
chmod 755 /usr/local/bin/python3.11-config
ln -s python3.11-config /usr/local/bin/python3-config
for name in python3 python; do ln -s python3.11 "/usr/local/bin/$name"; done

# Debian's changes to where things are installed, undone. Each is looked for first, so that a new
# Debian package that no longer has it stops the build instead of making another Python.
undo() { grep -q "$2" "$1" && sed -i "s#$2#$3#" "$1"; }
undo "$lib/sysconfig.py" "prefix_scheme = 'posix_local'" "prefix_scheme = 'posix_prefix'"
undo "$lib/ensurepip/__init__.py" '^def _ensurepip_is_disabled_in_debian_for_system():' \
    '&\n    return'
for file in "$lib"/_sysconfigdata__"$triplet".py "$lib"/config-*/Makefile; do
    sed -i -e "s#/usr/lib/$triplet#/usr/local/lib#g" \
        -e 's#/usr/lib/python3.11#/usr/local/lib/python3.11#g' \
        -e 's#/usr/include\b\([^/]\|/python\)#/usr/local/include\1#g' \
        -e "s#--prefix=/usr'#--prefix=/usr/local'#; s#'/usr/bin'#'/usr/local/bin'#" \
        -e "s#prefix': '/usr'#prefix': '/usr/local'#; s#^prefix=.*/usr\$#prefix=/usr/local#" "$file"
done
ldconfig

# pip, setuptools and wheel are ordinary packages of site-packages.
mkdir -p "$lib/site-packages"
# The interpreter has its module `site` frozen in, and that one looks in dist-packages only.
ln -s site-packages "$lib/dist-packages"
cp -a lib/python3/dist-packages/wheel* "$lib/site-packages/"
cd /
bundled=$(ls /usr/share/python-wheels/pip-*.whl)
python3 "$bundled/pip" install --quiet --no-cache-dir --no-compile \
    --no-index --find-links /usr/share/python-wheels --root-user-action=ignore setuptools
# Debian's pip is years older than any that comes with Python today, and takes half as long again for
# every install: a current one, for `python -m venv` too, keeps the cost of a step a real one.
python3 "$bundled/pip" download --quiet --no-cache-dir --no-deps --dest /usr/share/python-wheels \
    "pip==$PIP_VERSION"
rm "$bundled"
python3 "/usr/share/python-wheels/pip-$PIP_VERSION-py3-none-any.whl/pip" install --quiet \
    --no-cache-dir --no-compile --no-index --find-links /usr/share/python-wheels \
    --root-user-action=ignore pip

# As Debian's packages do, and unlike the official image, keep the bytecode of pip and of all that it and
# venv import: without it every first use in a step compiles them again, for a second or more.
python3 -m compileall -q "$lib/site-packages/pip"
python3 -m venv "$work/venv"

# The official image keeps no tests; apt's lists are a mount and not in the image.
find /usr/local -depth -type d \( -name test -o -name tests -o -name idlelib \) -exec rm -rf {} +
rm -rf "$work" /var/log/apt/* /var/log/dpkg.log /var/cache/debconf/*-old /var/lib/dpkg/*-old

test "$(python3 -c 'import platform; print(platform.python_version())')" = "$PYTHON_VERSION"
python3 -B -c 'import bz2, ctypes, curses, dbm, lzma, readline, sqlite3, ssl, sys, uuid, zlib
assert (sys.prefix, sys.base_prefix) == ("/usr/local",) * 2, sys.prefix'
