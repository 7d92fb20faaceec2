//! Reads protobuf's wire format: the fields of one message, one after the other. What a field contains is not looked
//! into, so nesting costs nothing here.

use super::value::{Fields, Malformed, Value, Visit};

const INCOMPLETE: Malformed = Malformed::new("the protobuf message ends within a field");

/// Visits those fields of a message that are in the list. All others must be well-formed, too.
pub(super) fn visit<'a>(bytes: &'a [u8], fields: Fields, visit: Visit<'_, 'a>) -> Result<(), Malformed> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let (number, value) = field(&mut rest)?;
        if fields.iter().any(|(known, _)| *known == number) {
            visit(number, value)?;
        }
    }
    Ok(())
}

/// Takes the next field.
fn field<'a>(rest: &mut &'a [u8]) -> Result<(u32, Value<'a>), Malformed> {
    let tag = varint(rest)?;
    let number = u32::try_from(tag >> 3).ok().filter(|number| *number != 0);
    let number = number.ok_or(Malformed::new("a protobuf field has no valid number"))?;
    let value = match tag & 7 {
        0 => Value::Varint(varint(rest)?),
        1 => Value::Fixed(u64::from_le_bytes(*take(rest)?)),
        2 => {
            let length = usize::try_from(varint(rest)?).map_err(|_| INCOMPLETE)?;
            let (bytes, after) = rest.split_at_checked(length).ok_or(INCOMPLETE)?;
            *rest = after;
            Value::Bytes(bytes)
        }
        5 => Value::Varint(u32::from_le_bytes(*take(rest)?).into()),
        _ => return Err(Malformed::new("a protobuf field has an unknown wire type")),
    };
    Ok((number, value))
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], Malformed> {
    let (taken, after) = rest.split_first_chunk().ok_or(INCOMPLETE)?;
    *rest = after;
    Ok(taken)
}

/// Takes a number that has seven bits in each of its bytes, the lowest first.
fn varint(rest: &mut &[u8]) -> Result<u64, Malformed> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = *take(rest)?;
        // The tenth byte has one bit of the number only. What is above is cut, as other readers do.
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(Malformed::new("a protobuf number is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<(u32, Value<'_>)>, Malformed> {
        let mut all = Vec::new();
        visit(bytes, &[(1, ""), (2, ""), (3, ""), (15, ""), (16, "")], &mut |number, value| {
            all.push((number, value));
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn every_wire_type() {
        let bytes = b"\x08\x96\x01\x11\x01\0\0\0\0\0\0\x80\x1a\x03abc\x7d\x02\0\0\0\x82\x01\0\x20\x05";
        assert_eq!(
            read(bytes).unwrap(),
            [
                (1, Value::Varint(150)),
                (2, Value::Fixed(0x8000_0000_0000_0001)),
                (3, Value::Bytes(b"abc")),
                (15, Value::Varint(2)),
                // Field 4 is not in the list.
                (16, Value::Bytes(b"")),
            ]
        );
        let all_bits = b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        assert_eq!(read(all_bits).unwrap(), [(1, Value::Varint(u64::MAX))]);
    }

    #[test]
    fn what_is_cut_or_impossible_is_malformed() {
        for bytes in [
            &b"\x08"[..],
            b"\x08\x80",
            b"\x11\0\0\0\0\0\0\0",
            b"\x1a\x04abc",
            b"\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x7d\0\0\0",
            b"\x00\x01",
            b"\x0b",
            b"\x0e\0",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x80\x80\x80\x80\x80\x80\x01\0",
            // A field that is not in the list must be well-formed all the same.
            b"\x22\x01",
        ] {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }
}
