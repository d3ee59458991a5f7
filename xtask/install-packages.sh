#!/bin/sh
# Installs Debian packages of servers, without starting any of them, now or at boot.
#
# Usage, as root: install-packages.sh PACKAGE...
#
# `cargo xtask demo` and `cargo xtask test` call it with the packages that are missing. Two files of the
# system are changed while it runs, and put back at its end, also when it fails or is interrupted:
#   /usr/sbin/policy-rc.d                         tells Debian's packages to start no service
#   /etc/postgresql-common/createcluster.conf     tells PostgreSQL's to create no database cluster
set -eu

# Only the tests of this script set a root other than the system's.
root=${INSTALL_PACKAGES_ROOT:-}
policy=$root/usr/sbin/policy-rc.d
clusters=$root/etc/postgresql-common/createcluster.conf
units=$root/lib/systemd/system

export DEBIAN_FRONTEND=noninteractive

say() {
    printf 'install-packages: %s\n' "$*"
}

# Remembers FILE beside it, under a name that tells whether there was one.
remember() {
    if [ -e "$1" ]; then
        cp -p "$1" "$1.saving"
        mv "$1.saving" "$1.saved"
    else
        mkdir -p "$(dirname "$1")"
        : >"$1.absent"
    fi
}

# Puts FILE back as it was remembered.
put_back() {
    if [ -e "$1.saved" ]; then
        mv -f "$1.saved" "$1"
        say "put $1 back as it was"
    elif [ -e "$1.absent" ]; then
        rm -f "$1" "$1.absent"
        say "removed $1 again"
    fi
}

put_all_back() {
    put_back "$policy"
    put_back "$clusters"
}

# Waits for another apt, such as that of the daily updates, instead of failing beside it.
apt() {
    apt-get -q -o DPkg::Lock::Timeout=120 "$@"
}

# Downloads first: that changes nothing, so it can be tried with the package lists as they are.
install() {
    if ! apt -y -o Dpkg::Use-Pty=0 --no-install-recommends --download-only install "$@"; then
        say 'the packages could not be downloaded; trying again after apt-get update'
        apt update
    fi
    apt -y -o Dpkg::Use-Pty=0 --no-install-recommends install "$@"
}

# One run at a time on this machine, from whichever checkout: a second one would remember what the first has set.
# The lock goes with the process.
mkdir -p "$root/run"
exec 9>"$root/run/monitoring-install-packages.lock"
flock 9

# A run that was killed may have left what it had remembered.
put_all_back
trap put_all_back EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say "no service will be started: setting $policy for the time of the installation"
remember "$policy"
printf '#!/bin/sh\n# Set by install-packages.sh while it runs.\nexit 101\n' >"$policy.new"
chmod 755 "$policy.new"
mv -f "$policy.new" "$policy"

for package in "$@"; do
    if [ "$package" = postgresql ]; then
        # It comes first because it brings the file that decides on the cluster.
        install postgresql-common
        say "no database cluster will be created: setting create_main_cluster in $clusters"
        remember "$clusters"
        printf '\ncreate_main_cluster = false\n' >>"$clusters"
    fi
done

install "$@"

for package in "$@"; do
    service=$package
    if [ "$package" = mariadb-server ]; then
        service=mariadb
    fi
    if [ -e "$units/$service.service" ] && command -v systemctl >/dev/null; then
        systemctl --quiet disable "$service.service" >/dev/null 2>&1 ||
            say "could not disable $service.service: it may start at the next boot"
    fi
done
say 'done; to run one of them as a service of this machine: systemctl enable --now NAME'
