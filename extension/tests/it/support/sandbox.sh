# Lays out a Lambda environment in the mount namespace that it is started in, and becomes the command.
#   sandbox.sh STAGE (SOURCE NAME)… -- COMMAND…
# Each SOURCE appears read-only as /mnt/NAME; the one named `layer` appears as /opt too. It all comes together in STAGE
# first, as a source may itself lie below /mnt or /opt. Root alone can do this, and root alone can reach sources in
# folders that the function's user cannot enter.
set -eu
stage=$1
shift
mount -t tmpfs -o mode=755 tmpfs "$stage"
while [ "$1" != -- ]; do
    if [ -d "$1" ]; then
        mkdir -p "$stage/$2"
    else
        mkdir -p "$(dirname "$stage/$2")"
        : >"$stage/$2"
    fi
    mount --bind "$1" "$stage/$2"
    mount -o remount,bind,ro "$stage/$2"
    shift 2
done
shift
mount --rbind "$stage" /mnt
mount --bind /mnt/layer /opt
mount -o remount,bind,ro /opt
# Each environment has its own, in which it may spool what the next process of the same environment is to send.
mount -t tmpfs -o mode=1777 tmpfs /tmp
# For Lambda Managed Instances, RIE starts the runtime in this folder.
mount -t tmpfs -o mode=755 tmpfs /var
mkdir /var/task
mount --bind /mnt/task /var/task
cd /mnt/task
exec "$@"
